// Arbitrary bytes as a JSON config: every getter either answers or throws a one-line Error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "io/json.h"
#include "sparsevid/error.h"

namespace {

template <typename Body>
void expect_answer_or_error(const Body& body) {
  try {
    body();
  } catch (const sparsevid::Error& error) {
    const std::string_view message = error.what();
    if (message.empty() || message.find('\n') != std::string_view::npos) std::abort();
  }
}

void read_all(const sparsevid::Json& json, int depth) {
  for (const auto& key : json.keys()) {
    expect_answer_or_error([&] { (void)json.get_int(key, -5, 5); });
    expect_answer_or_error([&] { (void)json.get_double(key, 0, 1); });
    expect_answer_or_error([&] { (void)json.get_bool(key, false); });
    expect_answer_or_error([&] { (void)json.get_string(key); });
    expect_answer_or_error([&] { (void)json.get_ints(key, 0, 100); });
    expect_answer_or_error([&] { (void)json.get_doubles(key, 0, 100); });
    expect_answer_or_error([&] { (void)json.get_bools(key); });
    expect_answer_or_error([&] { (void)json.get_strings(key); });
    if (depth > 0) expect_answer_or_error([&] { read_all(json.object(key), depth - 1); });
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  expect_answer_or_error([&] { read_all(sparsevid::Json::parse(text, "fuzz.json"), 4); });
  return 0;
}
