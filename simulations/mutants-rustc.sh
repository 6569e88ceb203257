#!/usr/bin/env bash
# Compiles a crate of the workspace with the mutants in it; cargo calls it in place of the compiler.
exec "$@" --cfg synod_mutants
