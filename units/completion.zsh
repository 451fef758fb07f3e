#compdef novnc-gatectl
# zsh completion for novnc-gatectl(1)

local -a commands
commands=(
	'list:show the open sessions'
	'disconnect:end sessions'
	'status:show the gate, or sessions and their journal'
	'check:check the configuration, the backends and the certificate'
	'drain:stop the sockets and wait until nobody is left'
)

_arguments -s \
	'(-a --all)'{-a,--all}'[list page connections, too]' \
	'(-w --watch)'{-w,--watch=-}'[list again and again]::interval' \
	'(-l --full)'{-l,--full}'[do not shorten what is wider than the terminal]' \
	'--json=[print JSON]:form:(short pretty off)' \
	'--reason=[why the sessions are ended]:text' \
	'--timeout=[how long drain waits]:span' \
	'(-n --lines)'{-n+,--lines=}'[entries of the journal]:number' \
	'(-v --verbose)'{-v,--verbose}'[print the whole configuration, too]' \
	'--session=[open this session through the gate]:session' \
	'--cookie=[send these cookies for it]:cookies' \
	'--config=[check this file]:file:_files' \
	'--no-block[do not wait for the end]' \
	'--no-legend[print no header and no footer]' \
	'--no-pager[do not use a pager]' \
	'(--system)--user[the service manager of the caller]' \
	'(--user)--system[the service manager of the system]' \
	'(- *)'{-h,--help}'[print a short help text]' \
	'(- *)--version[print the version]' \
	"1:command:(($(printf '%q ' "${commands[@]}")))" \
	'*:session:(${${(f)"$(novnc-gatectl list --no-legend --no-pager 2>/dev/null)"}%% *})'
