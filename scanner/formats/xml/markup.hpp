#pragma once
// MarkupReader: XML and HTML of an untrusted object as a stream of events. It never builds a tree,
// never expands an entity and never opens what a declaration names. Tolerant, as the most tolerant
// parser is: what is not markup is text. Memory is bounded by the constants below whatever the
// text; one pass, linear time. Grammar: XML 1.0 (fifth edition), HTML's tokeniser where it differs.
#include "scanner/core/source.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate::xml {

enum class Event {
  start,       ///< name(), attributes(), is_empty()
  end,         ///< name()
  text,        ///< text(): a piece of at most k_max_piece bytes, CDATA included
  comment,     ///< skipped, text() is empty
  instruction, ///< name() and text(): <?name text?>
  doctype,     ///< name(), public_id(), system_id(), has_external()
  entity,      ///< a declaration: name(), is_parameter(), and value() or the ids
  declaration, ///< another declaration of a DTD: name() is ELEMENT, ATTLIST, NOTATION…
  finish,      ///< the text is over
  foreign,     ///< not text at all: a control character; every further call returns it again
};

struct Attribute {
  std::string name;
  std::string value; ///< character references decoded; at most k_max_value bytes of it
};

enum class Dialect { xml, html };

class MarkupReader {
public:
  static constexpr std::size_t k_max_name = 1024;
  static constexpr std::size_t k_max_value = std::size_t{256} << 10;
  static constexpr std::size_t k_max_piece = std::size_t{64} << 10;
  static constexpr std::size_t k_max_attributes = 4096;
  static constexpr std::size_t k_max_entities = 4096;

  /// Reads `source`, which must outlive the reader. UTF-8, UTF-16 and UTF-32 by their marks or by
  /// the first '<'; anything else byte by byte.
  MarkupReader(Source& source, Dialect dialect);

  Event next();

  const std::string& name() const { return name_; }
  /// The part of name() behind the prefix.
  std::string_view local_name() const;
  const std::vector<Attribute>& attributes() const { return attributes_; }
  /// Value of the attribute of that exact name, nullptr when there is none.
  const std::string* attribute(std::string_view name) const;
  bool is_empty() const { return empty_; }
  const std::string& text() const { return text_; }
  const std::string& value() const { return text_; }
  const std::string& public_id() const { return public_id_; }
  const std::string& system_id() const { return system_id_; }
  bool has_external() const { return external_; }
  bool is_parameter() const { return parameter_; }

  /// Where the last event begins in the source, in bytes (near it in UTF-16 and UTF-32).
  std::uint64_t offset() const { return offset_; }
  /// Bytes of the source that were read.
  std::uint64_t position() const { return source_at_; }
  std::size_t depth() const { return depth_; }
  /// The text is XML from its first to its last tag: they nest, with one root around all text.
  bool is_well_formed() const { return well_formed_ && depth_ == 0 && roots_ == 1; }
  /// Something was longer than the bounds above and was cut.
  bool was_cut() const { return cut_; }
  /// How often text and attributes refer to each entity that was declared.
  const std::map<std::string, std::uint64_t>& uses() const { return uses_; }

private:
  enum class Encoding { bytes, utf16le, utf16be, utf32le, utf32be };

  bool fill();
  int peek() {
    return at_ < window_.size() || fill() ? static_cast<unsigned char>(window_[at_]) : -1;
  }
  int take();
  bool ahead(std::string_view word, bool fold = false);
  void skip(std::size_t n);
  void skip_space();
  void decode(Bytes bytes);
  void append(char32_t point);
  bool skip_until(std::string_view end, std::string* keep);
  void read_name();
  std::string read_quoted();
  void read_external();
  Event read_text();
  Event read_raw_text();
  Event read_tag();
  Event read_end_tag();
  Event read_instruction();
  Event read_doctype();
  Event read_subset();
  Event read_declaration();
  std::string read_value(int quote);
  std::string decode_references(std::string_view raw);
  void note_use(std::string_view name);

  Source& source_;
  Dialect dialect_;
  Encoding encoding_ = Encoding::bytes;
  std::string window_; ///< decoded text not yet consumed, from at_ on
  std::size_t at_ = 0;
  std::uint64_t window_begin_ = 0; ///< of the source
  std::uint64_t source_at_ = 0;
  std::string carry_; ///< bytes of a character that is not complete
  bool ended_ = false;
  bool foreign_ = false;
  bool started_ = false;

  bool in_subset_ = false;
  bool subset_closes_ = false; ///< "]" ends it: it is the internal subset of a document
  std::string raw_until_;      ///< HTML: the element whose text is no markup
  std::string name_;
  std::string text_;
  std::string public_id_;
  std::string system_id_;
  std::vector<Attribute> attributes_;
  bool external_ = false;
  bool parameter_ = false;
  bool empty_ = false;
  bool cut_ = false;
  bool well_formed_ = true;
  std::size_t depth_ = 0;
  std::size_t roots_ = 0;
  std::uint64_t offset_ = 0;
  std::map<std::string, std::uint64_t> uses_;
};

} // namespace hubgate::xml
