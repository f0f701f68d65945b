# Installs the build into a folder of its own, then builds both examples against the installed
# package and runs them on the tiny checkpoint.
#   cmake -DBUILD=.. -DSOURCE=.. -DWORK=.. [-DFLAGS=..] -P package_test.cmake
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT code EQUAL 0)
    string(JOIN " " command ${ARGN})
    message(FATAL_ERROR "${command}: ${code}\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
set(model ${SOURCE}/tests/golden/wan_t2v_tiny)
foreach(language cpp c)
  run(${CMAKE_COMMAND} -S ${SOURCE}/examples/${language} -B ${WORK}/${language}
      -DCMAKE_PREFIX_PATH=${WORK}/prefix -DCMAKE_CXX_FLAGS=${FLAGS} -DCMAKE_C_FLAGS=${FLAGS})
  run(${CMAKE_COMMAND} --build ${WORK}/${language})
  run(${WORK}/${language}/example ${model} "a red fox in the snow" ${WORK}/${language}.mp4)
  file(SIZE ${WORK}/${language}.mp4 size)
  if(size EQUAL 0)
    message(FATAL_ERROR "${language}.mp4 is empty")
  endif()
endforeach()
run(${WORK}/prefix/bin/sparsevid --version)
find_program(PKG_CONFIG pkg-config)
file(GLOB_RECURSE pc ${WORK}/prefix/*/sparsevid.pc)
get_filename_component(pc_folder ${pc} DIRECTORY)
run(${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${pc_folder} ${PKG_CONFIG} --cflags --libs sparsevid)
