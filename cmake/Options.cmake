# Compiler settings shared by every target: C++20, warnings as errors, hardening, sanitizers, ccache.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

set(FAIRLEAD_SANITIZE "" CACHE STRING "comma list for -fsanitize= (address,undefined | thread)")
option(FAIRLEAD_FUZZ "build the libFuzzer targets (clang only)" OFF)

set(CMAKE_CXX_FLAGS_DEV "-O1 -g1")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2")
add_compile_options(-Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers -Wnon-virtual-dtor -Woverloaded-virtual
  -fstack-protector-strong)
add_compile_definitions(_GLIBCXX_ASSERTIONS)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # gcc 12 reports false positives of these inside the standard library at -O1 and -O2 (GCC bugs 105562, 105651).
  add_compile_options(-Wno-maybe-uninitialized -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds)
endif()
add_link_options(-Wl,-z,relro,-z,now)

if(FAIRLEAD_SANITIZE)
  add_compile_options(-fsanitize=${FAIRLEAD_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${FAIRLEAD_SANITIZE})
  if(FAIRLEAD_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
  if(FAIRLEAD_SANITIZE MATCHES "thread")
    # The sanitizer does not know std::atomic_thread_fence: gcc warns where one is used (-Wtsan), and Asio, which uses
    # them in its executors, does without when told so.
    add_compile_options(-Wno-tsan)
    add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
  endif()
endif()

find_program(FAIRLEAD_CCACHE ccache)
if(FAIRLEAD_CCACHE)
  # One cache for every build folder of a checkout: paths below the checkout are made relative.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=time_macros ${FAIRLEAD_CCACHE})
endif()
