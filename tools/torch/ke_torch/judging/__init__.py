"""The judge: jobs, hosts as the judge knows them, what is right. Never imports what runs in a host."""
