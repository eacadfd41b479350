module resource-manager/probe

go 1.22
