// How threads wait for each other.
#pragma once

namespace sparsevid::cli {

/// Makes threads that wait sleep instead of spin, unless the environment already decides. On a busy
/// machine spinning makes the many short parallel loops of a run up to a hundred times slower; on
/// an idle one sleeping costs a few microseconds each. OpenMP reads its environment when it is
/// loaded, before main, so this starts the program again, in the same process.
void let_waiting_threads_sleep(char** argv);

}  // namespace sparsevid::cli
