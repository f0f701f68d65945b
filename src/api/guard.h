// The border of the library: only Error goes out.
#pragma once

#include <exception>
#include <new>

#include "sparsevid/error.h"

namespace sparsevid {

/// What `body` returns; anything it throws that is no Error becomes one.
template <typename Body>
auto guarded(const Body& body) {
  try {
    return body();
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw Error(ErrorKind::out_of_memory, "the system gave no more memory");
  } catch (const std::exception& error) {
    throw Error(ErrorKind::internal, error.what());
  }
}

}  // namespace sparsevid
