# make install PREFIX=...: header, libraries, tool, and what pkg-config and find_package need.
include(CMakePackageConfigHelpers)

install(FILES include/ramify.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS ramify_run EXPORT ramifyTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
set(pkg_config_files ramify-run.pc)
if(NOT RAMIFY_RUN_ONLY)
    install(TARGETS ramify EXPORT ramifyTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
    # Not exported: its users ask pkg-config --static, which knows jansson and zlib.
    install(TARGETS ramify_static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
    install(TARGETS ramify_tool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    if(RAMIFY_MPI)
        install(TARGETS ramify_mpi LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/ramify)
    endif()
    list(APPEND pkg_config_files ramify.pc)
endif()

# Paths in the .pc files start at the file's own place, so an installed tree may be moved.
file(RELATIVE_PATH RAMIFY_PC_TO_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
foreach(file IN LISTS pkg_config_files)
    configure_file(cmake/${file}.in ${CMAKE_BINARY_DIR}/${file} @ONLY)
    install(FILES ${CMAKE_BINARY_DIR}/${file} DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ramify)
install(EXPORT ramifyTargets NAMESPACE ramify:: DESTINATION ${config_dir})
configure_package_config_file(cmake/ramifyConfig.cmake.in ${CMAKE_BINARY_DIR}/ramifyConfig.cmake
                              INSTALL_DESTINATION ${config_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/ramifyConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/ramifyConfig.cmake ${CMAKE_BINARY_DIR}/ramifyConfigVersion.cmake
        DESTINATION ${config_dir})
