// Arbitrary bytes as a safetensors file: every byte of every tensor handed out must be readable.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "io/safetensors.h"
#include "sparsevid/error.h"

namespace {

volatile unsigned char sink = 0;  // keeps the reads from being optimised away

void read_all(const sparsevid::SafetensorsFile& file) {
  for (const auto& name : file.names()) {
    try {
      const auto& view = file.get(name);
      const auto* bytes = static_cast<const unsigned char*>(view.data());
      if (view.bytes() != file.bytes_of(name)) std::abort();
      for (std::size_t i = 0; i < view.bytes(); ++i) sink = sink ^ bytes[i];
    } catch (const sparsevid::Error&) {  // a type we do not read
    }
  }
}

void open(const std::byte* data, std::size_t size) {
  try {
    read_all(sparsevid::SafetensorsFile(data, size, "fuzz.safetensors"));
  } catch (const sparsevid::Error& error) {
    const std::string_view message = error.what();
    if (message.empty() || message.find('\n') != std::string_view::npos) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  open(reinterpret_cast<const std::byte*>(data), size);
  // The fuzzer seldom guesses the length field, so the same bytes are also tried behind a right
  // one: the first byte says how much data follows the header.
  if (size == 0) return 0;
  const std::size_t data_size = data[0];
  const std::uint64_t header_size = size - 1;
  std::vector<std::byte> file(sizeof header_size + header_size + data_size);
  std::memcpy(file.data(), &header_size, sizeof header_size);
  std::memcpy(file.data() + sizeof header_size, data + 1, header_size);
  open(file.data(), file.size());
  return 0;
}
