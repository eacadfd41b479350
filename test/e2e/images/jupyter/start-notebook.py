#!/usr/bin/python3
import os
import sys

os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *sys.argv[1:]])
