# bash completion for tiergatectl
_tiergatectl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb='' i
	local verbs='status sessions login logout why watch reload wiring passwd vouchers'
	for ((i = 1; i < COMP_CWORD; i++)); do
		[[ " $verbs " == *" ${COMP_WORDS[i]} "* ]] && verb=${COMP_WORDS[i]} && break
	done
	case $prev in
	--config | --socket | --users) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	--backend) mapfile -t COMPREPLY < <(compgen -W 'nft iptables' -- "$cur"); return ;;
	esac
	local words
	case $verb in
	'') words="$verbs --socket --json --help --version" ;;
	login) words='--address --user --for --config' ;;
	logout) words='--address --user' ;;
	why) words='--user --tier --address --to --port --at' ;;
	vouchers) words='--tier --for --count --vouchers' ;;
	passwd) words='--user --tier --users --config' ;;
	wiring) words='up down check print --config --backend' ;;
	*) words='--json' ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _tiergatectl tiergatectl
