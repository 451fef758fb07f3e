# shellcheck shell=bash
# bash completion for novnc-gatectl(1)

_novnc_gatectl() {
	local cur=${COMP_WORDS[COMP_CWORD]} word command='' i
	local commands='list disconnect status check drain metrics report'
	local options='--all --watch --full --json= --reason= --no-block --lines= --verbose --session= --cookie= --config= --timeout= --http --since= --until= --output= --no-legend --no-pager --user --system --help --version'

	COMPREPLY=()
	if [[ $cur == = || ${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then
		[[ $cur != = ]] || cur=''
		i=$((COMP_CWORD - 1))
		[[ ${COMP_WORDS[i]} != = ]] || i=$((i - 1))
		case ${COMP_WORDS[i]} in
		--config | --output) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
		--since | --until) mapfile -t COMPREPLY < <(compgen -W 'today yesterday -1h -1d -1w' -- "$cur") ;;
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
	elif [[ $command == disconnect || $command == status ]]; then
		# ids without white space and glob characters
		mapfile -t COMPREPLY < <(compgen -W "$(novnc-gatectl list --no-legend --no-pager 2>/dev/null |
			awk '$1 ~ /^[[:alnum:]_.-]+$/ && $1 != "-" { print $1 }')" -- "$cur")
	fi
}
complete -F _novnc_gatectl novnc-gatectl
