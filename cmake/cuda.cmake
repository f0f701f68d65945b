# Whether and for which GPUs the CUDA part is built. Sets SPARSEVID_HAS_CUDA and
# CMAKE_CUDA_ARCHITECTURES.
set(SPARSEVID_CUDA
    AUTO
    CACHE STRING "Build the CUDA part: ON, OFF, or AUTO: where there is a compiler and a GPU")
set(SPARSEVID_CUDA_ARCHITECTURES
    native
    CACHE STRING "GPUs to compile for, e.g. 80;86;89;90a;100;120; native: those of this machine")
set_property(CACHE SPARSEVID_CUDA PROPERTY STRINGS AUTO ON OFF)

include(CheckLanguage)
set(SPARSEVID_HAS_CUDA OFF)
find_program(NVIDIA_SMI nvidia-smi)
if(SPARSEVID_CUDA STREQUAL "AUTO" AND NOT NVIDIA_SMI)
  message(STATUS "CUDA: not built, there is no NVIDIA GPU here (SPARSEVID_CUDA=ON builds it anyway)")
  return()
endif()
if(NOT SPARSEVID_CUDA)
  return()
endif()

if(NOT CMAKE_CUDA_COMPILER)
  find_program(SPARSEVID_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
  if(SPARSEVID_NVCC)
    set(CMAKE_CUDA_COMPILER ${SPARSEVID_NVCC})
  endif()
endif()

set(architectures ${SPARSEVID_CUDA_ARCHITECTURES})
if(architectures STREQUAL "native")
  set(architectures "")
  if(NVIDIA_SMI)
    execute_process(COMMAND ${NVIDIA_SMI} --query-gpu=compute_cap --format=csv,noheader
                    OUTPUT_VARIABLE capabilities OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    string(REGEX MATCHALL "[0-9]+\\.[0-9]+" capabilities "${capabilities}")
    foreach(capability ${capabilities})
      string(REPLACE "." "" capability ${capability})
      list(APPEND architectures ${capability})
    endforeach()
    list(REMOVE_DUPLICATES architectures)
  endif()
  if(NOT architectures)
    message(STATUS "CUDA: no GPU here to compile for; SPARSEVID_CUDA_ARCHITECTURES defaults to 80;90a")
    set(architectures 80 90a)
  endif()
endif()
# Hopper's own instructions are in the architecture-specific target only.
list(TRANSFORM architectures REPLACE "^90$" "90a")
set(CMAKE_CUDA_ARCHITECTURES ${architectures})

check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  if(SPARSEVID_CUDA STREQUAL "AUTO")
    message(STATUS "CUDA: not built, there is no nvcc")
    return()
  endif()
  message(FATAL_ERROR "SPARSEVID_CUDA=ON: expected nvcc on the PATH or in CUDA_HOME/bin, found none")
endif()
enable_language(CUDA)
# CMake 3.25 does not know the dialects of newer compilers.
set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
set(CMAKE_CUDA_STANDARD 20)
find_package(CUDAToolkit REQUIRED)
set(SPARSEVID_HAS_CUDA ON)
message(STATUS "CUDA: ${CMAKE_CUDA_COMPILER_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}")
