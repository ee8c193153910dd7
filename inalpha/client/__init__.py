"""What every client of an installation shares: finding the daemon, signing as an operator, tightening a halt."""
