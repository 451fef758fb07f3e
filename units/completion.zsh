#compdef novnc-gatectl
# zsh completion for novnc-gatectl(1)

local curcontext=$curcontext state line ret=1
local -a verbs sessions manager
typeset -A opt_args
verbs=(
	'list:show the open sessions'
	'disconnect:end sessions'
	'status:show the gate, or sessions and their journal'
	'check:check the configuration, the backends and the certificate'
	'drain:stop the sockets and wait until nobody is left'
	'metrics:print metrics for Prometheus'
	'report:write a page about sessions and failures'
)

_arguments -C -s \
	'(-a --all)'{-a,--all}'[list pages, too; let a glob match all]' \
	'(-w --watch)'{-w,--watch=-}'[list again and again]::interval' \
	'(-l --full)'{-l,--full}'[do not shorten what is wider than the terminal]' \
	'(-n --lines)'{-n+,--lines=}'[entries of the journal]:number' \
	'(-v --verbose)'{-v,--verbose}'[print the whole configuration, too]' \
	'--json=[print JSON]:form:(short pretty off)' \
	'--reason=[why the sessions are ended]:text' \
	'--no-block[do not wait for the end]' \
	'--timeout=[how long drain waits]:span' \
	'--session=[open this session through the gate]:session:->id' \
	'--cookie=[send these cookies for it, or those in @FILE]:cookies' \
	'--config=[check this file]:file:_files' \
	'--http[respond to an HTTP request on standard input]' \
	'--since=[report from this time on]:time:(today yesterday -1h -1d -1w)' \
	'--until=[report up to this time]:time:(today yesterday -1h -1d -1w)' \
	'--output=[report to this file]:file:_files' \
	'--no-legend[print no header and no footer]' \
	'--no-pager[do not use a pager]' \
	'(--system)--user[the service manager of the caller]' \
	'(--user)--system[the service manager of the system]' \
	'(- *)'{-h,--help}'[print a short help text]' \
	'(- *)--version[print the version]' \
	'1:command:->command' \
	'*:session:->session' && ret=0

case $state in
command)
	_describe -t commands command verbs && ret=0
	;;
session | id)
	[[ $state == id || $line[1] == (disconnect|status) ]] || return ret
	(( $+opt_args[--user] )) && manager=(--user)
	sessions=(${${(f)"$(novnc-gatectl $manager list --no-legend --no-pager 2>/dev/null)"}%% *})
	sessions=(${sessions:#-*})
	compadd -a sessions && ret=0
	;;
esac
return ret
