module resource-manager/contract

go 1.21
