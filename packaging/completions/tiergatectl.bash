# bash completion for tiergatectl: commands and options as the program's own help has them, names as
# the running daemon knows them.
_tiergatectl_verbs() {
	tiergatectl --help 2>/dev/null | sed -n 's/^  \([a-z]*\) .*/\1/p'
}
_tiergatectl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb='' verbs i
	verbs=" $(_tiergatectl_verbs | tr '\n' ' ')"
	for ((i = 1; i < COMP_CWORD; i++)); do
		[[ $verbs == *" ${COMP_WORDS[i]} "* ]] && verb=${COMP_WORDS[i]} && break
	done
	local words
	[[ $cur == -* ]] && prev=''
	case $prev in
	--tier) words=$(tiergatectl names tiers "$cur" 2>/dev/null) ;;
	--only) words=$(tiergatectl names sites "$cur" 2>/dev/null) ;;
	--user | block | unblock) words=$(tiergatectl names users "$cur" 2>/dev/null) ;;
	--backend) words='nft iptables' ;;
	--action) words='allow deny end act' ;;
	--example) words='school office runners' ;;
	--evidence) words='none address ech-outer dns host sni host+dns sni+dns' ;;
	--for | --until | --at | --since | --address | --segment | --to | --port) return ;;
	*)
		[[ -n $verb ]] && words=$(tiergatectl "$verb" --help 2>&1 | grep -oE -- '--[a-z-]+|\b(list|end|show|up|down|check|print|tiers|sites|users)\b')
		[[ -z $verb ]] && words="$verbs --socket --config --json --help --version"
		# files, for those that take some
		[[ $cur != -* && ( $verb == @(diff|try|suggest|unused|coverage|report|backup|restore) || $prev == --@(config|socket|out|users|vouchers|html|against|root|allow-change) ) ]] && mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		;;
	esac
	mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -o filenames -F _tiergatectl tiergatectl
