#include "scanner/prose/git_config.hpp"

namespace hubgate::prose {
namespace {

constexpr std::size_t k_kept = 4096;
constexpr std::string_view k_bom = "\xef\xbb\xbf";

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_key(char c) {
  return is_letter(c) || (c >= '0' && c <= '9') || c == '-';
}

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

} // namespace

void GitConfigReader::feed(std::string_view piece) {
  for (const char c: piece) {
    if (state_ == State::broken) return;
    if (at_ == bom_ && bom_ < k_bom.size() && c == k_bom[bom_]) {
      ++bom_;
      ++at_;
      continue;
    }
    // "\r\n" is one line end.
    if (held_return_) {
      held_return_ = false;
      if (c != '\n') {
        carriage_ = true;
        step('\r');
      }
    }
    if (c == '\r')
      held_return_ = true;
    else
      step(c);
    ++at_;
  }
}

void GitConfigReader::finish() {
  if (held_return_) step('\r');
  held_return_ = false;
  step('\n');
}

void GitConfigReader::add(std::string& to, char c) {
  if (to.size() < k_kept)
    to += c;
  else
    cut_ = true;
}

void GitConfigReader::end_entry() {
  take_({section_, subsection_, key_, value_, begin_, carriage_, cut_});
  state_ = State::between;
}

void GitConfigReader::step(char c) {
  switch (state_) {
  case State::between:
    if (is_blank(c)) return;
    carriage_ = false;
    cut_ = false;
    if (c == '#' || c == ';') {
      state_ = State::comment;
    } else if (c == '[') {
      section_.clear();
      subsection_.clear();
      state_ = State::section;
    } else if (is_letter(c)) {
      key_.assign(1, lower(c));
      value_.clear();
      begin_ = at_;
      state_ = State::name;
    } else {
      state_ = State::broken;
    }
    return;
  case State::comment:
    if (c == '\n') state_ = State::between;
    return;
  case State::section:
    if (c == ']')
      state_ = State::between;
    else if (c == '\n')
      state_ = State::broken;
    else if (is_blank(c))
      state_ = State::before_subsection;
    else if (is_key(c) || c == '.')
      add(section_, lower(c));
    else
      state_ = State::broken;
    return;
  case State::before_subsection:
    if (c == '"')
      state_ = State::subsection;
    else if (c == '\n' || !is_blank(c))
      state_ = State::broken;
    return;
  case State::subsection:
    if (c == '\n')
      state_ = State::broken;
    else if (c == '"')
      state_ = State::section_end;
    else if (c == '\\')
      state_ = State::subsection_escape;
    else
      add(subsection_, c);
    return;
  case State::subsection_escape:
    add(subsection_, c);
    state_ = c == '\n' ? State::broken : State::subsection;
    return;
  case State::section_end:
    state_ = c == ']' ? State::between : State::broken;
    return;
  case State::name:
    if (is_key(c)) return add(key_, lower(c));
    state_ = State::before_value;
    [[fallthrough]];
  case State::before_value:
    if (c == '\n') return end_entry(); // a key alone is "true"
    if (c == ' ' || c == '\t') return;
    quoted_ = false;
    blanks_ = 0;
    state_ = c == '=' ? State::value : State::broken;
    return;
  case State::value:
  case State::value_escape:
  case State::value_comment:
    value_step(c);
    return;
  case State::broken:
    return;
  }
}

void GitConfigReader::value_step(char c) {
  if (state_ == State::value_escape) {
    state_ = State::value;
    switch (c) {
    case '\n':
      return; // the value goes on in the next line
    case 't':
      return add(value_, '\t');
    case 'b':
      return add(value_, '\b');
    case 'n':
      return add(value_, '\n');
    case '\\':
    case '"':
      return add(value_, c);
    default:
      state_ = State::broken;
      return;
    }
  }
  if (c == '\n') {
    if (quoted_ && state_ != State::value_comment)
      state_ = State::broken;
    else
      end_entry();
    return;
  }
  if (state_ == State::value_comment) return;
  if (is_blank(c) && !quoted_) {
    if (!value_.empty()) ++blanks_;
    return;
  }
  if (!quoted_ && (c == ';' || c == '#')) {
    state_ = State::value_comment;
    return;
  }
  for (; blanks_ > 0; --blanks_) {
    add(value_, ' ');
    if (cut_) blanks_ = 1;
  }
  if (c == '\\')
    state_ = State::value_escape;
  else if (c == '"')
    quoted_ = !quoted_;
  else
    add(value_, c);
}

} // namespace hubgate::prose
