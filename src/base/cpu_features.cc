#include "base/cpu_features.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/error.h"

namespace sparsevid {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"scalar", "avx2", "avx512", "avx512_bf16",
                                                    "amx"};

bool amx_granted() {
#if defined(__x86_64__)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

bool cpuid_amx_bf16() {
#if defined(__x86_64__)
  unsigned eax = 7, ebx = 0, ecx = 0, edx = 0;
  __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
  return (edx >> 22 & 1) != 0 && (edx >> 24 & 1) != 0;
#else
  return false;
#endif
}

CpuIsa detect() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return CpuIsa::scalar;
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
    return CpuIsa::avx2;
  if (!__builtin_cpu_supports("avx512bf16")) return CpuIsa::avx512;
  return cpuid_amx_bf16() && amx_granted() ? CpuIsa::amx : CpuIsa::avx512_bf16;
#else
  return CpuIsa::scalar;
#endif
}

CpuIsa choose() {
  const CpuIsa best = detect();
  const char* wanted = std::getenv("SPARSEVID_CPU_ISA");
  if (wanted == nullptr || *wanted == '\0') return best;
  const auto* found = std::find(kNames.begin(), kNames.end(), std::string_view(wanted));
  require(found != kNames.end(), ErrorKind::bad_input,
          "SPARSEVID_CPU_ISA: expected scalar, avx2, avx512, avx512_bf16 or amx, found '{}'",
          wanted);
  return std::min(best, static_cast<CpuIsa>(found - kNames.begin()));
}

}  // namespace

CpuIsa cpu_isa() {
  static const CpuIsa isa = choose();
  return isa;
}

std::string_view to_string(CpuIsa isa) { return kNames[static_cast<std::size_t>(isa)]; }

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace sparsevid
