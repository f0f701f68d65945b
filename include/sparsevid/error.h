// The one exception type of the library.
#pragma once

#include <stdexcept>
#include <string>

#pragma GCC visibility push(default)
namespace sparsevid {

/// What went wrong, so that a caller can choose its exit code or its reaction.
enum class ErrorKind {
  bad_input,      ///< a flag, a prompt, a size the caller can correct
  bad_file,       ///< a file that is missing, broken, or holds something else than expected
  out_of_memory,  ///< the memory plan does not fit
  io,             ///< writing or reading failed (disk full, no permission)
  cancelled,      ///< the caller asked to stop
  internal,       ///< a defect of sparsevid itself
};

/// Thrown by every function of the library. what() is one line that names the file, the tensor or
/// the setting, what was expected and what was found.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace sparsevid
#pragma GCC visibility pop
