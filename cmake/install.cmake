# cmake --install: the program, the shared library, its headers, a CMake package and a pkg-config
# file.
include(CMakePackageConfigHelpers)

file(RELATIVE_PATH library_from_program /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
set_target_properties(sparsevid_cli PROPERTIES INSTALL_RPATH "$ORIGIN/${library_from_program}")

install(TARGETS sparsevid_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS sparsevid EXPORT sparsevid_targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/sparsevid
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")
install(EXPORT sparsevid_targets FILE sparsevid-targets.cmake NAMESPACE sparsevid::
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/sparsevid)

set(package ${PROJECT_BINARY_DIR}/package)
file(WRITE ${package}/sparsevid-config.cmake
     "include(\${CMAKE_CURRENT_LIST_DIR}/sparsevid-targets.cmake)\n")
write_basic_package_version_file(${package}/sparsevid-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
configure_file(${PROJECT_SOURCE_DIR}/cmake/sparsevid.pc.in ${package}/sparsevid.pc @ONLY)
install(FILES ${package}/sparsevid-config.cmake ${package}/sparsevid-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/sparsevid)
install(FILES ${package}/sparsevid.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
