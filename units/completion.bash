# shellcheck shell=bash
# bash completion for novnc-gatectl(1)

# Ids of open sessions, without those that have white space or characters of a glob or begin as an option does.
_novnc_gatectl_ids() {
	novnc-gatectl "$@" list --no-legend --no-pager 2>/dev/null |
		awk '$1 ~ /^[[:alnum:]_.][[:alnum:]_.-]*$/ { print $1 }'
}

_novnc_gatectl() {
	local cur=${COMP_WORDS[COMP_CWORD]} word command='' option='' i manager=()
	local commands='list disconnect status check drain metrics report'
	local options='--all --watch --full --json= --reason= --no-block --lines= --verbose --session= --cookie= --config= --timeout= --http --since= --until= --output= --no-legend --no-pager --user --system --help --version'

	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $word == = ]]; then
			option=${COMP_WORDS[i - 1]}
		elif [[ -n $option ]]; then
			option='' # this is its value
		elif [[ $word == -n || $word == -[!-]*n || " $options " == *" $word= "* ]]; then
			option=$word
		elif [[ $word == --user || $word == --system ]]; then
			manager=("$word")
		elif [[ $word != -* && -z $command ]]; then
			command=$word
		fi
	done
	if [[ $cur == = ]]; then
		option=${COMP_WORDS[COMP_CWORD - 1]}
		cur=''
	fi
	if [[ -n $option ]]; then
		case $option in
		--config | --output) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
		--cookie) [[ $cur != @* ]] || mapfile -t COMPREPLY < <(compgen -P @ -f -- "${cur#@}") ;;
		--since | --until) mapfile -t COMPREPLY < <(compgen -W 'today yesterday -1h -1d -1w' -- "$cur") ;;
		--json) mapfile -t COMPREPLY < <(compgen -W 'short pretty off' -- "$cur") ;;
		--session) mapfile -t COMPREPLY < <(compgen -W "$(_novnc_gatectl_ids "${manager[@]}")" -- "$cur") ;;
		esac
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
		[[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2>/dev/null
	elif [[ -z $command ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
	elif [[ $command == disconnect || $command == status ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_novnc_gatectl_ids "${manager[@]}")" -- "$cur")
	fi
}
complete -F _novnc_gatectl novnc-gatectl
