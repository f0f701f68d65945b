// The border of the library: only Error goes out.
#pragma once

#include <exception>
#include <new>

#include "io/one_line.h"
#include "sparsevid/error.h"

namespace sparsevid {

/// What `body` returns; what it throws becomes an Error of one line.
template <typename Body>
auto guarded(const Body& body) {
  try {
    return body();
  } catch (const Error& error) {
    // It may hold names out of files, or the path of a caller.
    throw Error(error.kind(), one_line(error.what(), std::string::npos));
  } catch (const std::bad_alloc&) {
    throw Error(ErrorKind::out_of_memory, "the system gave no more memory");
  } catch (const std::exception& error) {
    throw Error(ErrorKind::internal, error.what());
  }
}

}  // namespace sparsevid
