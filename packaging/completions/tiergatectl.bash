# bash completion for tiergatectl
_tiergatectl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb='' i
	local verbs='init status doctor metrics sessions login logout lockdown block unblock why diff try suggest unused coverage expect denials reach watch reload report history rollback backup restore passwd vouchers wiring'
	for ((i = 1; i < COMP_CWORD; i++)); do
		[[ " $verbs " == *" ${COMP_WORDS[i]} "* ]] && verb=${COMP_WORDS[i]} && break
	done
	case $prev in
	--config | --socket | --users | --against | --allow-change) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	--backend) mapfile -t COMPREPLY < <(compgen -W 'nft iptables' -- "$cur"); return ;;
	--action) mapfile -t COMPREPLY < <(compgen -W 'allow deny end' -- "$cur"); return ;;
	esac
	local words
	case $verb in
	'') words="$verbs --socket --config --json --help" ;;
	report) mapfile -t COMPREPLY < <(compgen -f -W '--day --week --since --against --html --csv --config --json' -- "$cur"); return ;;
	init) words='--example --inside --resolvers --out --force school office runners' ;;
	backup | restore) mapfile -t COMPREPLY < <(compgen -f -W '--config --root --dry-run' -- "$cur"); return ;;
	history) words='show --config --json' ;;
	rollback) words='--config' ;;
	status) words='--all --json' ;;
	metrics) words='--json --http' ;;
	sessions) words='--user --tier --address --segment --names --json' ;;
	login) words='--address --user --for --users --config' ;;
	logout) words='--address --user --segment --tier --all' ;;
	lockdown) words='list end --segment --tier --user --only --for --until' ;;
	block) words='--for' ;;
	why) words='--user --tier --address --to --port --at --evidence --config --json' ;;
	try) mapfile -t COMPREPLY < <(compgen -f -W '--against --since --allow-change --config --json' -- "$cur"); return ;;
	suggest) mapfile -t COMPREPLY < <(compgen -f -W '--against --tier --user --since --config --json' -- "$cur"); return ;;
	unused) mapfile -t COMPREPLY < <(compgen -f -W '--days --against --config --json' -- "$cur"); return ;;
	coverage) words='--config --json' ;;
	expect) words='--suggest --config --json' ;;
	diff) mapfile -t COMPREPLY < <(compgen -f -W '--json' -- "$cur"); return ;;
	denials | reach) words='--address --user --json' ;;
	watch) words='--user --tier --address --name --action --json' ;;
	passwd) words='--user --tier --keep --lock --unlock --remove --users --config' ;;
	vouchers) words='--tier --for --count --vouchers' ;;
	wiring) words='up down check print --config --backend' ;;
	*) words='--json' ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _tiergatectl tiergatectl
