#pragma once
// Abstract values: what is known of a Python value without running anything, and where it is from.
#include "scanner/code/python/ast.hpp"

namespace hubgate::python {

/// Where (part of) a value comes from, or what it is good for. A set.
using Labels = std::uint32_t;
enum Label : Labels {
  k_net = 1U << 0,         ///< came over the network
  k_socket = 1U << 1,      ///< a socket, or its file descriptor
  k_remote = 1U << 2,      ///< came through such a socket
  k_hub = 1U << 3,         ///< downloaded through a hub's or a dataset builder's own functions
  k_decoded = 1U << 4,     ///< base64, zlib, rot13…
  k_computed = 1U << 5,    ///< put together from character codes, reversed, xor'ed
  k_sensitive = 1U << 6,   ///< content of a file with credentials
  k_environ = 1U << 7,     ///< the whole environment
  k_secret_env = 1U << 8,  ///< one variable that holds a secret
  k_host = 1U << 9,        ///< facts about the machine or the person
  k_screen = 1U << 10,     ///< screen, camera, microphone, clipboard, keys
  k_weights = 1U << 11,    ///< numbers of a model, pixels of an image
  k_file = 1U << 12,       ///< content of some file
  k_walk = 1U << 13,       ///< a path that a walk over directories gave
  k_encrypted = 1U << 14,  ///< content of a file that was encrypted
  k_process = 1U << 15,    ///< a running process
  k_pieces = 1U << 16,     ///< short literals added together
  k_code = 1U << 17,       ///< a code object
  k_own_source = 1U << 18, ///< the text of the running script itself
  k_credential = 1U << 19, ///< a login that a hub's library keeps
  k_output = 1U << 20,     ///< what a command printed
  k_input = 1U << 21,      ///< typed by the person
  k_unpacked = 1U << 22,   ///< decompressed, from nobody knows where: programs do that too
  k_home = 1U << 23,       ///< a path of a search through a home directory or the whole disk
  k_request = 1U << 24,    ///< what somebody asks of a server or a bot that this unit runs
  k_any_class = 1U << 25,  ///< one of all classes that are loaded
};

enum class Kind : std::uint8_t {
  unknown,
  none,
  integer, ///< number
  text,    ///< pool[ref]; partial: with k_hole where a part is unknown
  bytes,   ///< the same
  list, ///< lists[ref]; also tuples and sets, and what a generator yields (number: functions[number
        ///< - 1])
  dict, ///< lists[ref]: key, value, key, value…
  name, ///< pool[ref]: a dotted name outside of the unit; "f()" is what f returns
  function, ///< functions[ref]
  klass,    ///< classes[ref]
  instance, ///< of classes[ref]; number k_super: what super() gives
  method,   ///< functions[ref], bound to an instance of classes[number]
  partial,  ///< lists[ref]: a callee with arguments
  module,   ///< a file of the same repository: its number in Modules
  handle,   ///< an open file: pool[ref] is its path, number 1 when it is open for writing
};

struct Value {
  Kind kind = Kind::unknown;
  bool partial = false; ///< of a text: parts are unknown
  Labels labels = 0;
  std::uint32_t ref = 0;
  std::uint32_t step = 0;   ///< in the trace
  std::uint32_t origin = 0; ///< the node that made an unknown value: the same unknown, the same id;
                            ///< of a text: the "unknown or text" that it is the default of
  std::int64_t number = 0;

  bool is_text() const { return kind == Kind::text || kind == Kind::bytes; }
  bool is_constant() const {
    return (is_text() && !partial) || kind == Kind::integer || kind == Kind::none;
  }
};

/// Value::number of an unknown that is an integer of more than 64 bits: pool[ref] has its bytes,
/// the most significant first.
inline constexpr std::int64_t k_long_number = 0x6c6f6e67;

/// Value::number of an instance whose own class is passed over.
inline constexpr std::int64_t k_super = 1;

/// Stands in a partial text for what is unknown: k_hole, digits of the origin, ';'.
inline constexpr char k_hole = '\x1a';

} // namespace hubgate::python
