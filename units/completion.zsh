#compdef novnc-gatectl
# zsh completion for novnc-gatectl(1)

local -a commands
commands=(
	'list:show the open sessions'
)

_arguments -s \
	'(-a --all)'{-a,--all}'[list page connections, too]' \
	'(-w --watch)'{-w,--watch=-}'[list again and again]::interval' \
	'(-l --full)'{-l,--full}'[do not shorten what is wider than the terminal]' \
	'--json=[print JSON]:form:(short pretty off)' \
	'--no-legend[print no header and no footer]' \
	'--no-pager[do not use a pager]' \
	'(--system)--user[the service manager of the caller]' \
	'(--user)--system[the service manager of the system]' \
	'(- *)'{-h,--help}'[print a short help text]' \
	'(- *)--version[print the version]' \
	"1:command:(($(printf '%q ' "${commands[@]}")))"
