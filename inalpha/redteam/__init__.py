"""The red team: attacks a scratch installation of its own, and reports which control stopped each attack."""
