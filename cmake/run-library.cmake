# libramify-run.a: one relocatable object made of the prediction half and the members of
# libjansson.a that it uses, in which every name but ramify_* is local, so that it collides neither
# with a jansson of the program's own nor with anything else.
ramify_objects(RUN_OBJECTS ${RUN_PARTS})

find_library(JANSSON_ARCHIVE NAMES libjansson.a HINTS ${JANSSON_LIBRARY_DIRS})
if(JANSSON_ARCHIVE AND CMAKE_LINKER AND CMAKE_OBJCOPY)
    set(run_object ${CMAKE_CURRENT_BINARY_DIR}/ramify-run.o)
    # An archive of the parts in between, because a Makefile cannot depend on another target's
    # objects.
    add_library(ramify_run_parts STATIC ${RUN_OBJECTS})
    add_custom_command(
        OUTPUT ${run_object}
        COMMAND ${CMAKE_LINKER} -r -o ${run_object} --whole-archive
                $<TARGET_FILE:ramify_run_parts> --no-whole-archive ${JANSSON_ARCHIVE}
        COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=ramify_* --localize-hidden
                ${run_object}
        DEPENDS ramify_run_parts ${JANSSON_ARCHIVE}
        COMMENT "Joining the prediction half and jansson"
        VERBATIM)
    set_source_files_properties(${run_object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
    add_library(ramify_run STATIC ${run_object})
    set_target_properties(ramify_run PROPERTIES LINKER_LANGUAGE C)
    set(RAMIFY_RUN_PRIVATE_LIBS "-lm -lpthread")
    set(RAMIFY_RUN_REQUIRES "")
else()
    message(STATUS "No libjansson.a or no objcopy: programs of libramify-run will need jansson")
    add_library(ramify_run STATIC ${RUN_OBJECTS})
    target_link_libraries(ramify_run PUBLIC ${JANSSON_LINK_LIBRARIES})
    set(RAMIFY_RUN_PRIVATE_LIBS "-lm -lpthread")
    set(RAMIFY_RUN_REQUIRES "jansson >= 2.12")
endif()
set_target_properties(ramify_run PROPERTIES OUTPUT_NAME ramify-run EXPORT_NAME run)
target_include_directories(ramify_run INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(ramify_run PUBLIC Threads::Threads m)
