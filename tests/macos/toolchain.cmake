# macOS on arm64 from Linux, without Apple's SDK or tools.
set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_PROCESSOR arm64)
set(CMAKE_OSX_SYSROOT "")

# Apple's tools are not needed: nothing is archived, and with the final rpath
# linked in at once nothing is renamed. Whatever calls them all the same fails.
set(CMAKE_AR /bin/false)
set(CMAKE_RANLIB /bin/false)
set(CMAKE_INSTALL_NAME_TOOL /bin/false)
set(CMAKE_BUILD_WITH_INSTALL_RPATH ON)
