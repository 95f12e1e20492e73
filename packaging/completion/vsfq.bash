# SPDX-License-Identifier: GPL-2.0-only
# bash completion of vsfq(8). It reads what "vsfq help" says, so that both know
# the same commands, options and arguments.

_vsfq_commands()
{
	sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' <<< "$1"
}

# DEV|all, [FILE] or the like: neither is how a description begins.
_vsfq_arguments()
{
	sed -n "/^commands:/,/^\$/s/^  $2  *\(\[[^]]*\]\|[^ ]*|[^ ]*\|[A-Z]*\) .*/\1/p" \
		<<< "$1" | tr -d '[]' | tr '|' '\n'
}

_vsfq_options()
{
	sed -n '/^options:/,$s/^  \(-.\), \(--[a-z-]*\)'"$2"'.*/\1\n\2/p' <<< "$1"
}

# Devices of ARPHRD_VSOCK.
_vsfq_devices()
{
	grep -l '^827$' /sys/class/net/*/type 2>/dev/null | cut -d / -f 5
}

_vsfq()
{
	local current=$2 previous=$3 command= words= kind word i
	local help; help=$("$1" help 2>/dev/null)
	local valued=" $(_vsfq_options "$help" ' [A-Z]' | tr '\n' ' ')"

	COMPREPLY=()
	[[ $valued == *" $previous "* ]] && return
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $valued == *" $word "* ]]; then
			((i++))
		elif [[ $word != -* ]]; then
			[[ $command ]] && return
			command=$word
		fi
	done

	if [[ $current == -* ]]; then
		# "with show, top: ...": not with another command.
		[[ $command ]] && help=$(sed \
			"/  with [a-z, ]*:/{/ $command[,:]/!d}" <<< "$help")
		words=$(_vsfq_options "$help")
	elif [[ ! $command ]]; then
		words=$(_vsfq_commands "$help")
	else
		for kind in $(_vsfq_arguments "$help" "$command"); do
			case $kind in
			EVENT)	words+=" accept reject drop connect close cap" ;;
			DEV)	words+=" $(_vsfq_devices)" ;;
			FILE)	compopt -o filenames 2>/dev/null
				mapfile -t COMPREPLY < <(compgen -f -- "$current")
				return ;;
			*)	words+=" $kind" ;;
			esac
		done
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _vsfq vsfq
