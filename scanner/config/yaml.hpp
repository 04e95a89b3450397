#pragma once
// YamlReader: YAML of an untrusted text as a stream of events. The tokenizer and the parser follow
// PyYAML's (and with it libyaml's and ruamel's) state machines, because what they accept is what
// gets loaded; where those differ the more permissive reading is taken (tabs between tokens, '?' in
// flow scalars). No recursion, no expansion of aliases; time is linear in the text.
// Grammar: https://yaml.org/spec/1.1/.
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate::config {

enum class YamlEvent {
  document_begin,
  document_end,
  map_begin,
  map_end,
  list_begin,
  list_end,
  scalar,
  alias,
  end,   ///< of the text
  error, ///< see error(); every further call returns `error` again
};

class YamlReader {
public:
  /// `text` is UTF-8 (other bytes are taken as they are) and must outlive the reader.
  explicit YamlReader(std::string_view text) : text_(text) {}

  YamlEvent next();

  /// Of the last scalar: its value, and whether it was written without quotes.
  const std::string& value() const { return value_; }
  bool is_plain() const { return plain_; }
  /// Of the last node: the tag in full ("tag:yaml.org,2002:python/tuple", "!new:a.b"), "" = none;
  /// anchor or name of the alias.
  const std::string& tag() const { return tag_; }
  const std::string& anchor() const { return anchor_; }
  /// First byte of the last event.
  std::uint64_t offset() const { return offset_; }
  /// How far the text was read.
  std::uint64_t position() const { return at_; }
  std::string_view error() const { return error_; }

private:
  enum class Kind : std::uint8_t {
    stream_end,
    directive,
    document_start,
    document_end,
    block_sequence_start,
    block_mapping_start,
    block_end,
    flow_sequence_start,
    flow_mapping_start,
    flow_sequence_end,
    flow_mapping_end,
    block_entry,
    flow_entry,
    key,
    value,
    alias,
    anchor,
    tag,
    scalar,
  };
  struct Token {
    Kind kind;
    std::uint64_t offset = 0;
    std::string text = {};   ///< scalar, anchor, suffix of a tag, prefix of a %TAG
    std::string handle = {}; ///< of a tag; name of a %TAG's handle
    bool plain = false;
  };
  struct SimpleKey {
    bool possible = false;
    bool required = false;
    std::uint64_t token = 0;
    std::uint64_t at = 0;
    std::uint64_t line = 0;
    std::int64_t column = 0;
  };
  enum class State : std::uint8_t {
    implicit_document_start,
    document_start,
    document_end,
    document_content,
    block_sequence_entry,
    indentless_sequence_entry,
    block_mapping_key,
    block_mapping_value,
    flow_sequence_first,
    flow_sequence_entry,
    flow_sequence_pair_key,
    flow_sequence_pair_value,
    flow_sequence_pair_end,
    flow_mapping_first,
    flow_mapping_key,
    flow_mapping_value,
    flow_mapping_empty_value,
    block_node,
    finished,
  };

  // Characters.
  char peek(std::size_t ahead = 0) const {
    return ahead < text_.size() - at_ ? text_[at_ + ahead] : '\0';
  }
  bool at_end(std::size_t ahead = 0) const { return ahead >= text_.size() - at_; }
  bool is_blank_or_end(std::size_t ahead) const;
  std::size_t break_length(std::size_t ahead = 0) const;
  bool is_break_or_end(std::size_t ahead = 0) const {
    return at_end(ahead) || break_length(ahead) > 0;
  }
  void forward(std::size_t n = 1);
  std::string line_break();
  bool document_mark(std::string_view mark) const;

  // Tokens.
  bool fail(std::string_view message);
  bool need(); ///< makes sure that the next token is known
  const Token& front() const { return tokens_.front(); }
  bool check(Kind kind) { return need() && front().kind == kind; }
  template <typename... Kinds> bool check_any(Kinds... kinds) {
    return need() && ((front().kind == kinds) || ...);
  }
  Token take();
  bool fetch();
  void to_next_token();
  bool drop_stale_keys();
  bool save_key();
  bool remove_key();
  void unwind(std::int64_t column);
  bool add_indent(std::int64_t column);
  void add(Kind kind);
  bool fetch_document_mark(Kind kind);
  bool fetch_directive();
  bool fetch_flow_start(Kind kind);
  bool fetch_flow_end(Kind kind);
  bool fetch_block_entry();
  bool fetch_key();
  bool fetch_value();
  bool fetch_name(Kind kind);
  bool fetch_tag();
  bool fetch_block_scalar(bool folded);
  bool fetch_quoted(bool is_double);
  bool fetch_plain();
  bool can_start_plain() const;
  std::string tag_uri(bool verbatim = false);
  void block_breaks(std::int64_t indent, std::string& breaks);
  bool escape(std::string& out);
  bool quoted_spaces(std::string& out);
  bool plain_spaces(std::string& out);

  // Events.
  YamlEvent failed() { return YamlEvent::error; }
  YamlEvent node(bool block, bool indentless);
  YamlEvent empty_scalar();
  YamlEvent close(YamlEvent event);
  YamlEvent step();
  YamlEvent document_start();
  YamlEvent flow_sequence(bool first);
  YamlEvent flow_mapping(bool first);
  void pop_state();

  std::string_view text_;
  std::size_t at_ = 0;
  std::uint64_t line_ = 0;
  std::int64_t column_ = 0;
  std::string_view error_;

  std::deque<Token> tokens_;
  std::uint64_t taken_ = 0;
  bool done_ = false;
  bool allow_key_ = true;
  std::vector<SimpleKey> keys_{SimpleKey{}}; ///< one a flow level
  std::size_t first_key_ = 0;                ///< no key below this level is possible
  std::int64_t indent_ = -1;
  std::vector<std::int64_t> indents_;

  State state_ = State::implicit_document_start;
  std::vector<State> states_;
  std::map<std::string, std::string> handles_;
  std::string value_;
  std::string tag_;
  std::string anchor_;
  std::uint64_t offset_ = 0;
  bool plain_ = false;
};

} // namespace hubgate::config
