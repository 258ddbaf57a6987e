using Xunit.Sdk;
using Xunit.v3;

// Most of the time goes into waiting for sgdisk, which sleeps a second after each table that it writes, and for user-mode Linux.
[assembly: Parallelization(Mode = ParallelMode.All, MaxThreads = 8)]
