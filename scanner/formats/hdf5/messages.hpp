#pragma once
// Object headers and the messages in them (specification section IV). Everything here only reads;
// scan.cpp judges.
#include "scanner/formats/hdf5/file.hpp"

namespace hubgate::hdf5 {

enum MessageType : std::uint16_t {
  k_dataspace = 0x01,
  k_link_info = 0x02,
  k_datatype = 0x03,
  k_fill_old = 0x04,
  k_fill = 0x05,
  k_link = 0x06,
  k_external = 0x07,
  k_layout = 0x08,
  k_filters = 0x0b,
  k_attribute = 0x0c,
  k_comment = 0x0d,
  k_shared_table = 0x0f,
  k_continuation = 0x10,
  k_symbol_table = 0x11,
  k_btree_k = 0x13,
  k_driver = 0x14,
  k_attribute_info = 0x15,
  k_free_space = 0x17,
  k_cache_image = 0x18,
};
inline constexpr std::uint16_t k_last_message = 0x19;

inline constexpr std::uint8_t k_shared_flag = 2; ///< of a message: its body says where it is

struct Message {
  std::uint16_t type = 0;
  std::uint8_t flags = 0;
  std::uint64_t place = 0; ///< of the body, in the source
  std::vector<std::uint8_t> body;
};

struct Header {
  std::vector<Message> messages;
  Trouble trouble;
};

/// Reads the object header at `address` with its continuations; what was read before an error is
/// kept. Accounts for its space.
Header read_header(File& file, std::uint64_t address);

struct Dataspace {
  std::vector<std::uint64_t> dimensions;
  bool null = false;
  /// Elements; nothing when the product does not fit into 64 bits.
  std::optional<std::uint64_t> elements() const;
};
std::optional<Dataspace> read_dataspace(const File& file, Bytes body);

enum class TypeClass : std::uint8_t {
  integer,
  floating,
  time,
  text,
  bits,
  opaque,
  compound,
  reference,
  enumeration,
  variable,
  array,
  complex,
  unknown,
};

struct Datatype {
  TypeClass klass = TypeClass::unknown;
  std::uint32_t size = 0;
  bool text = false;     ///< variable: of characters
  bool bytes = false;    ///< single bytes: integers or arrays of them
  bool has_text = false; ///< it or a part of it
  bool has_opaque = false;
  bool has_variable = false;
  std::string tag; ///< of an opaque type
};
/// Reads a datatype; `reader` ends behind it.
std::optional<Datatype> read_datatype(Reader& reader, int depth = 0);

struct Layout {
  enum class Kind : std::uint8_t { compact, contiguous, chunked, virtual_, unknown };
  enum class Index : std::uint8_t { none, btree1, single, implicit, fixed, extensible, btree2 };
  Kind kind = Kind::unknown;
  std::uint64_t address = k_undefined;
  std::uint64_t size = 0; ///< of contiguous data; 0 = as the shape says (versions 1, 2)
  std::vector<std::uint8_t> compact;
  std::vector<std::uint64_t> chunk; ///< dimensions, without the element's size
  std::uint32_t element = 0;        ///< bytes of an element as the chunks state it
  Index index = Index::none;
  std::uint64_t single_size = 0; ///< of a filtered single chunk
  std::uint32_t heap_index = 0;  ///< virtual: object of the global heap at `address`
};
std::optional<Layout> read_layout(const File& file, Bytes body);

struct Filter {
  std::uint16_t id = 0;
  std::string name;
  std::vector<std::uint32_t> values;
};
std::optional<std::vector<Filter>> read_filters(Bytes body);

struct Link {
  enum class Kind : std::uint8_t { hard, soft, external, user };
  Kind kind = Kind::hard;
  std::string name;
  std::uint64_t address = k_undefined; ///< hard
  std::string target;                  ///< soft, external: the path
  std::string file;                    ///< external
};
std::optional<Link> read_link(const File& file, Bytes body);

struct Attribute {
  std::string name;
  Datatype type;
  Dataspace space;
  std::vector<std::uint8_t>
      value; ///< as stored: references into the global heap for variable types
  std::uint64_t shared_type = k_undefined; ///< the type is that of a committed datatype
  std::uint64_t place = 0;
  bool value_cut = false;
};
std::optional<Attribute> read_attribute(const File& file, Bytes body);

/// Of a shared message: the address of the object header that has it; nothing: in a shared heap.
std::optional<std::uint64_t> read_shared(const File& file, Bytes body);

} // namespace hubgate::hdf5
