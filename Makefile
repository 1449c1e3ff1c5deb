# Every target sets up what it needs in $(VENV) first; a second time that takes a fraction of a second.
#   make demo ARGS="--dataroot D --model student"     arguments for the command behind a target
#   make PYTHON=python3.12                            another interpreter (CPython 3.10 to 3.13)
PYTHON ?= python3
VENV ?= .venv
ARGS ?=

ifdef ROS_DISTRO
# A sourced ROS 2 would be mixed with the environment's own. `colcon build` is the way to use it.
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH PYTHONPATH
unexport ROS_DISTRO ROS_PYTHON_VERSION ROS_VERSION
endif
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE

INSTALL = $(PYTHON) distilldrive_ros/environment/install.py --venv "$(VENV)"
RUN = "$(VENV)/bin/python"

.PHONY: help setup setup-world setup-tests demo test bench lint doctor clean

help:
	@echo "make demo     drive a generated world through the whole graph and in closed loop; leaves out/demo/report.html"
	@echo "make test     all tests"
	@echo "make bench    the benchmarks"
	@echo "make lint     ruff and mypy"
	@echo "make doctor   what is installed, what is missing and what to do about it"
	@echo "make setup    only set up the environment in $(VENV)"
	@echo "make setup-world  the same with the engines of driving worlds (SUMO, Panda3D; 0.5 GB more)"
	@echo "make clean    remove the environment and all results"
	@echo 'ARGS="..." passes arguments on; PYTHON=python3.12 chooses the interpreter'

setup:
	@$(INSTALL)

setup-world:
	@$(INSTALL) --with-worlds

setup-tests:
	@$(INSTALL) --with-tests

demo: setup-world
	@"$(VENV)/bin/distilldrive" demo $(ARGS)

bench: setup
	@"$(VENV)/bin/distilldrive" bench $(ARGS)

doctor: setup
	@"$(VENV)/bin/distilldrive" doctor $(ARGS)

test: setup-tests
	@$(RUN) -m pytest $(ARGS)

lint: setup-tests
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy

clean:
	rm -rf "$(VENV)" out build install log .mypy_cache .pytest_cache .ruff_cache
	find distilldrive_ros test -name __pycache__ -type d -prune -exec rm -rf {} +
