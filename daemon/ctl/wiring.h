/* tiergatectl wiring up|down|check|print [--config FILE] [--backend nft|iptables] */
#pragma once

/* argv[0] is the command's own name. Returns the exit status. */
int ctl_wiring(int argc, char **argv);
