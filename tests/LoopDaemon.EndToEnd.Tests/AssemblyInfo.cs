using Xunit.Sdk;
using Xunit.v3;

// Real mounts, kernel loop devices and fio on a few cores: one at a time, or they only measure each other.
[assembly: Parallelization(Mode = ParallelMode.None)]
