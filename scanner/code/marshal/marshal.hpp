#pragma once
// Marshal: CPython's format of code objects (Python/marshal.c), of 2.7 and 3.6 to 3.14, as .pyc
// files and Keras' Lambda layers carry it. Nothing is executed: the bytes become an arena of
// values, the code objects among them a list of names, constants and calls, rendered as a listing
// that a person can read. Bounded: one node costs at least one byte of input, and there are at most
// k_max_nodes; nesting stops at k_max_depth.
#include "scanner/core/bytes.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace hubgate::marshal {

inline constexpr std::size_t k_max_bytes = std::size_t{64} << 20;
inline constexpr std::size_t k_max_nodes = std::size_t{2} << 20;
inline constexpr std::uint32_t k_max_depth = 400;

/// A code object's field order, which marshal does not state.
enum class Layout : std::uint8_t { python27, python36, python38, python311 };

/// One value. Text and numbers stay in the input.
struct Node {
  std::uint8_t type =
      '0'; ///< marshal's type code, without the reference flag; 'c' is a code object
  std::uint32_t begin = 0; ///< of the payload in the input; of 'c': the index in Object::codes
  std::uint32_t size = 0;  ///< bytes of the payload
  std::uint32_t first = 0; ///< of a container: its items are links[first, first + count)
  std::uint32_t count = 0;
};

inline constexpr std::uint32_t k_no_node = 0xffffffff;

/// A code object: indices of nodes.
struct Code {
  std::uint32_t offset = 0; ///< of the 'c' in the input
  std::uint32_t flags = 0;
  std::uint32_t arguments = 0;
  std::uint32_t positional_only = 0;
  std::uint32_t keyword_only = 0;
  std::uint32_t bytecode = k_no_node;
  std::uint32_t constants = k_no_node;
  std::uint32_t names = k_no_node;
  std::uint32_t locals = k_no_node; ///< varnames, since 3.11 localsplusnames
  std::uint32_t cells = k_no_node;  ///< cellvars and freevars before 3.11
  std::uint32_t frees = k_no_node;
  std::uint32_t kinds = k_no_node; ///< since 3.11: a byte for each of `locals`
  std::uint32_t filename = k_no_node;
  std::uint32_t name = k_no_node;
  std::uint32_t lines = k_no_node; ///< co_lnotab, since 3.10 co_linetable
};

struct Object {
  enum class State {
    complete,
    truncated, ///< the input ends inside a value
    malformed, ///< a type code or a length that marshal does not have
    limit,     ///< k_max_nodes or k_max_depth
  };
  State state = State::malformed;
  Layout layout = Layout::python311;
  std::uint64_t end = 0; ///< behind the value, or where it broke
  std::uint32_t root = k_no_node;
  std::vector<Node> nodes;
  std::vector<std::uint32_t> links;
  std::vector<Code>
      codes; ///< every code object, the innermost first; what was read before an error
};

/// Reads one value at the beginning of `input`, its code objects laid out as `layout` says.
Object read(Bytes input, Layout layout);

/// The same where the version is not known: the layout under which the most of it can be read.
Object read_any(Bytes input);

/// A call, import or access of a code object with a name that could be followed.
struct Call {
  std::string text;         ///< "os.system('id')"
  std::string module;       ///< "os": of an imported module, "builtins" of a bare name
  std::string name;         ///< "system"
  std::uint32_t offset = 0; ///< of the code object in the input
};

/// What the code objects do, as far as their names tell.
struct Listing {
  int version = 0;                  ///< 311 for 3.11, as guessed from the opcodes or as given
  std::vector<Call> calls;          ///< in the order of the bytecode, outermost code first
  std::vector<std::string> strings; ///< text and bytes constants of at least k_least_string bytes
  std::vector<std::string> names;   ///< every distinct name that code refers to
  std::string text;                 ///< "def f(x): os.system('id'); …", bounded
};

inline constexpr std::size_t k_least_string = 8;
inline constexpr std::size_t k_listed = 512; ///< entries of each list of a Listing

/// The constant in which a function of CPython 3 keeps its documentation; k_no_node where it has
/// none. An instruction may still load it: then it is a constant like any other.
std::uint32_t documentation_of(const Object& object, const Code& code, int version);

/// Lists `object`, which was read from `input`. `version`: 0 where it is not known.
Listing list(Bytes input, const Object& object, int version = 0);

/// What a call that the listing shows would do, or "" where nothing is known against it: the table
/// of dangerous names that pickles are judged by, less what only a pickle abuses (getattr, map, …).
std::string_view effect_of(std::string_view module, std::string_view name);

/// The first effect among calls and names of `listing`, with the text that shows it.
struct Danger {
  std::string_view effect; ///< "" = none
  std::string text;
};
Danger find_danger(const Listing& listing);

} // namespace hubgate::marshal
