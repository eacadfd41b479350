module resource-manager/demo

go 1.21
