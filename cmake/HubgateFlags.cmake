# hubgate_flags: what every target of ours is compiled with.
add_library(hubgate_flags INTERFACE)
target_compile_features(hubgate_flags INTERFACE cxx_std_20)
target_include_directories(hubgate_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(hubgate_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
                       -Wnon-virtual-dtor -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # HUBGATE_TRY is a statement expression, which clang names even behind __extension__; and its
  # -Wconversion looks at signs too, which that of g++ leaves alone.
  # libstdc++ 12 uses what it deprecates itself (std::stable_sort's buffer).
  # std::array deduces the length of our name tables by a fold over every element.
  target_compile_options(hubgate_flags INTERFACE -Wno-gnu-statement-expression -Wno-sign-conversion
                         -Wno-deprecated-declarations -fbracket-depth=2048)
endif()
if(HUBGATE_WERROR)
  target_compile_options(hubgate_flags INTERFACE -Werror)
endif()
target_compile_definitions(hubgate_flags INTERFACE HUBGATE_VERSION="${PROJECT_VERSION}"
                           _GLIBCXX_ASSERTIONS)
target_compile_options(hubgate_flags INTERFACE -fstack-protector-strong)
target_link_options(hubgate_flags INTERFACE -Wl,-z,relro,-z,now)
find_program(HUBGATE_MOLD mold)
if(HUBGATE_MOLD AND (HUBGATE_TESTS OR HUBGATE_FUZZ))
  # Some 300 binaries hold the whole scanner: linking them is a third of a build's time otherwise.
  target_link_options(hubgate_flags INTERFACE -fuse-ld=mold)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  # -g1 keeps back traces and a third of the size; fortify needs optimisation.
  target_compile_options(hubgate_flags INTERFACE -g1)
  target_compile_definitions(hubgate_flags INTERFACE _FORTIFY_SOURCE=2)
endif()
if(HUBGATE_SANITIZE)
  target_compile_options(hubgate_flags INTERFACE -O0 -g1 -fsanitize=address,undefined
                         -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(hubgate_flags INTERFACE -fsanitize=address,undefined)
  target_compile_definitions(hubgate_flags INTERFACE HUBGATE_SANITIZED)
endif()
if(HUBGATE_FUZZ)
  target_compile_options(hubgate_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined
                         -fno-sanitize-recover=all)
  target_link_options(hubgate_flags INTERFACE -fsanitize=address,undefined)
  target_compile_definitions(hubgate_flags INTERFACE HUBGATE_SANITIZED)
endif()
