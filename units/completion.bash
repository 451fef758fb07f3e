# shellcheck shell=bash
# bash completion for novnc-gatectl(1)

_novnc_gatectl() {
	local cur=${COMP_WORDS[COMP_CWORD]} word command='' i
	local commands='list'
	local options='--all --watch --full --json= --no-legend --no-pager --user --system --help --version'

	COMPREPLY=()
	if [[ $cur == = || ${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then
		[[ $cur != = ]] || cur=''
		i=$((COMP_CWORD - 1))
		[[ ${COMP_WORDS[i]} != = ]] || i=$((i - 1))
		case ${COMP_WORDS[i]} in
		--json) mapfile -t COMPREPLY < <(compgen -W 'short pretty off' -- "$cur") ;;
		esac
		return
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		[[ $word == -* || $word == = || ${COMP_WORDS[i - 1]} == = || -n $command ]] || command=$word
	done
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
		[[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2>/dev/null
	elif [[ -z $command ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
	fi
}
complete -F _novnc_gatectl novnc-gatectl
