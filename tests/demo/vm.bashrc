# The shell in the demo's VM.
PS1='\[\e[1;32m\]demo@vm\[\e[0m\]:\[\e[1;36m\]\w\[\e[0m\]\$ '
HISTFILE=
clear
echo 'The demo VM: in truth a shell of your own, on this machine.'
echo 'Its screen comes to you through novnc-gate.'
echo 'Try: ls -l /usr/share/novnc'
echo
: > "$VM_READY"
