"""The benchmark's driver: Python's standard library, and matplotlib for the pictures.

    cli --> setting up: packages, build, allocators
        --> suite (all workloads) | command (the user's program) | trace (recorded allocations)
        --> results --> table, pictures, compare
"""
