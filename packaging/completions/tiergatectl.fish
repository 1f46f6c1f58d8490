# fish completion for tiergatectl: commands and options as the program's own help has them, names as the
# running daemon knows them.
function __tiergatectl_verbs
	tiergatectl --help 2>/dev/null | string match -r '^  [a-z]+ +.*' | string replace -r '^  ([a-z]+) +' '$1\t'
end
function __tiergatectl_verb
	set -l verbs (__tiergatectl_verbs | string replace -r '\t.*' '')
	for word in (commandline -opc)[2..]
		contains -- $word $verbs; and echo $word; and return
	end
	return 1
end
function __tiergatectl_words
	set -l verb (__tiergatectl_verb); or return
	tiergatectl $verb --help 2>&1 |
		grep -oE -- '--[a-z-]+|\b(list|end|show|up|down|check|print|tiers|sites|users)\b' | sort -u
end
function __tiergatectl_after
	contains -- (commandline -opc)[-1] $argv
end
complete -c tiergatectl -n 'not __tiergatectl_verb >/dev/null' -f -a '(__tiergatectl_verbs)'
complete -c tiergatectl -n '__tiergatectl_verb >/dev/null' -a '(__tiergatectl_words)'
complete -c tiergatectl -n '__tiergatectl_after --tier' -f -a '(tiergatectl names tiers 2>/dev/null)'
complete -c tiergatectl -n '__tiergatectl_after --only' -f -a '(tiergatectl names sites 2>/dev/null)'
complete -c tiergatectl -n '__tiergatectl_after --user block unblock' -f -a '(tiergatectl names users 2>/dev/null)'
complete -c tiergatectl -n '__tiergatectl_after --example' -f -a 'school office runners'
complete -c tiergatectl -n '__tiergatectl_after --evidence' -f -a 'none address ech-outer dns host sni host+dns sni+dns'
complete -c tiergatectl -n '__tiergatectl_after --action' -f -a 'allow deny end act'
complete -c tiergatectl -n '__tiergatectl_after --backend' -f -a 'nft iptables'
