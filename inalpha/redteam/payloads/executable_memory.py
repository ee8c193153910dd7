"""Makes a page of data executable."""

# held by: seccomp

import mmap


def attack(strategy, targets):
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    strategy.log(f"ESCAPED: {len(page)} executable bytes")
