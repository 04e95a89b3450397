// The parser of YamlReader: PyYAML's parser.py, one event a call, states on a stack of its own.
#include "scanner/config/yaml.hpp"

namespace hubgate::config {
namespace {

constexpr std::size_t k_max_states = 40'000;

} // namespace

void YamlReader::pop_state() {
  state_ = states_.empty() ? State::finished : states_.back();
  if (!states_.empty()) states_.pop_back();
}

YamlEvent YamlReader::empty_scalar() {
  value_.clear();
  tag_.clear();
  anchor_.clear();
  plain_ = true;
  offset_ = at_;
  return YamlEvent::scalar;
}

// The end of a collection, whose token is next.
YamlEvent YamlReader::close(YamlEvent event) {
  offset_ = front().offset;
  take();
  pop_state();
  return event;
}

YamlEvent YamlReader::next() {
  if (!error_.empty()) return YamlEvent::error;
  const YamlEvent event = step();
  if (states_.size() > k_max_states) fail("nested too deep");
  return error_.empty() ? event : YamlEvent::error;
}

YamlEvent YamlReader::document_start() {
  while (check(Kind::document_end))
    take();
  if (!need()) return failed();
  if (check(Kind::stream_end)) {
    state_ = State::finished;
    offset_ = at_;
    return YamlEvent::end;
  }
  handles_.clear();
  while (check(Kind::directive)) {
    Token token = take();
    if (!token.handle.empty()) handles_[token.handle] = token.text;
  }
  if (!check(Kind::document_start)) {
    fail("a document has to begin with '---'");
    return failed();
  }
  offset_ = front().offset;
  take();
  states_.push_back(State::document_end);
  state_ = State::document_content;
  return YamlEvent::document_begin;
}

YamlEvent YamlReader::node(bool block, bool indentless) {
  if (!need()) return failed();
  tag_.clear();
  anchor_.clear();
  offset_ = front().offset;
  if (check(Kind::alias)) {
    anchor_ = take().text;
    pop_state();
    return YamlEvent::alias;
  }
  bool tagged = false;
  std::string anchor;
  std::string tag;
  for (int i = 0; i < 2; ++i) {
    if (anchor.empty() && check(Kind::anchor)) {
      anchor = take().text;
    } else if (!tagged && check(Kind::tag)) {
      Token token = take();
      tagged = true;
      // A handle that %TAG does not know stays as it is, "!!" apart.
      if (const auto known = handles_.find(token.handle); known != handles_.end())
        tag = known->second + token.text;
      else if (token.handle == "!!")
        tag = "tag:yaml.org,2002:" + token.text;
      else
        tag = token.handle + token.text;
    }
  }
  if (!need()) return failed();
  anchor_ = std::move(anchor);
  tag_ = std::move(tag);
  switch (front().kind) {
  case Kind::block_entry:
    if (!indentless) break;
    state_ = State::indentless_sequence_entry;
    return YamlEvent::list_begin;
  case Kind::scalar: {
    Token token = take();
    value_ = std::move(token.text);
    plain_ = token.plain;
    pop_state();
    return YamlEvent::scalar;
  }
  case Kind::flow_sequence_start:
    take();
    state_ = State::flow_sequence_first;
    return YamlEvent::list_begin;
  case Kind::flow_mapping_start:
    take();
    state_ = State::flow_mapping_first;
    return YamlEvent::map_begin;
  case Kind::block_sequence_start:
    if (!block) break;
    take();
    state_ = State::block_sequence_entry;
    return YamlEvent::list_begin;
  case Kind::block_mapping_start:
    if (!block) break;
    take();
    state_ = State::block_mapping_key;
    return YamlEvent::map_begin;
  default:
    break;
  }
  if (tagged || !anchor_.empty()) {
    value_.clear();
    plain_ = true;
    pop_state();
    return YamlEvent::scalar;
  }
  fail("a value is missing");
  return failed();
}

YamlEvent YamlReader::flow_sequence(bool first) {
  if (!check(Kind::flow_sequence_end)) {
    if (!first) {
      if (!check(Kind::flow_entry)) {
        fail("',' or ']' is missing");
        return failed();
      }
      take();
    }
    if (check(Kind::key)) {
      offset_ = front().offset;
      tag_.clear();
      anchor_.clear();
      state_ = State::flow_sequence_pair_key;
      return YamlEvent::map_begin;
    }
    if (!check(Kind::flow_sequence_end)) {
      states_.push_back(State::flow_sequence_entry);
      return node(false, false);
    }
  }
  if (!need()) return failed();
  return close(YamlEvent::list_end);
}

YamlEvent YamlReader::flow_mapping(bool first) {
  if (!check(Kind::flow_mapping_end)) {
    if (!first) {
      if (!check(Kind::flow_entry)) {
        fail("',' or '}' is missing");
        return failed();
      }
      take();
    }
    if (check(Kind::key)) {
      take();
      if (!check_any(Kind::value, Kind::flow_entry, Kind::flow_mapping_end)) {
        states_.push_back(State::flow_mapping_value);
        return node(false, false);
      }
      state_ = State::flow_mapping_value;
      return empty_scalar();
    }
    if (!check(Kind::flow_mapping_end)) {
      states_.push_back(State::flow_mapping_empty_value);
      return node(false, false);
    }
  }
  if (!need()) return failed();
  return close(YamlEvent::map_end);
}

YamlEvent YamlReader::step() {
  if (state_ == State::finished) {
    if (!need() || check(Kind::stream_end)) return YamlEvent::end;
    fail("text follows the document");
    return failed();
  }
  if (!need()) return failed();
  switch (state_) {
  case State::implicit_document_start:
    if (check_any(Kind::directive, Kind::document_start, Kind::document_end, Kind::stream_end))
      return document_start();
    handles_.clear();
    offset_ = front().offset;
    states_.push_back(State::document_end);
    state_ = State::block_node;
    return YamlEvent::document_begin;
  case State::document_start:
    return document_start();
  case State::document_end:
    offset_ = front().offset;
    if (check(Kind::document_end)) take();
    state_ = State::document_start;
    return YamlEvent::document_end;
  case State::document_content:
    if (check_any(Kind::directive, Kind::document_start, Kind::document_end, Kind::stream_end)) {
      pop_state();
      return empty_scalar();
    }
    return node(true, false);
  case State::block_node:
    return node(true, false);
  case State::block_sequence_entry:
    if (check(Kind::block_entry)) {
      take();
      if (!check_any(Kind::block_entry, Kind::block_end)) {
        states_.push_back(State::block_sequence_entry);
        return node(true, false);
      }
      return empty_scalar();
    }
    if (!check(Kind::block_end)) {
      fail("the next entry of a list is not where it should be");
      return failed();
    }
    return close(YamlEvent::list_end);
  case State::indentless_sequence_entry:
    if (check(Kind::block_entry)) {
      take();
      if (!check_any(Kind::block_entry, Kind::key, Kind::value, Kind::block_end)) {
        states_.push_back(State::indentless_sequence_entry);
        return node(true, false);
      }
      return empty_scalar();
    }
    offset_ = front().offset;
    pop_state();
    return YamlEvent::list_end;
  case State::block_mapping_key:
    if (check(Kind::key)) {
      take();
      if (!check_any(Kind::key, Kind::value, Kind::block_end)) {
        states_.push_back(State::block_mapping_value);
        return node(true, true);
      }
      state_ = State::block_mapping_value;
      return empty_scalar();
    }
    // A value without a key: the key is empty.
    if (check(Kind::value)) {
      state_ = State::block_mapping_value;
      return empty_scalar();
    }
    if (!check(Kind::block_end)) {
      fail("the next key is not where it should be");
      return failed();
    }
    return close(YamlEvent::map_end);
  case State::block_mapping_value:
    if (check(Kind::value)) {
      take();
      if (!check_any(Kind::key, Kind::value, Kind::block_end)) {
        states_.push_back(State::block_mapping_key);
        return node(true, true);
      }
    }
    state_ = State::block_mapping_key;
    return empty_scalar();
  case State::flow_sequence_first:
    return flow_sequence(true);
  case State::flow_sequence_entry:
    return flow_sequence(false);
  case State::flow_sequence_pair_key:
    take();
    if (!check_any(Kind::value, Kind::flow_entry, Kind::flow_sequence_end)) {
      states_.push_back(State::flow_sequence_pair_value);
      return node(false, false);
    }
    state_ = State::flow_sequence_pair_value;
    return empty_scalar();
  case State::flow_sequence_pair_value:
    if (check(Kind::value)) {
      take();
      if (!check_any(Kind::flow_entry, Kind::flow_sequence_end)) {
        states_.push_back(State::flow_sequence_pair_end);
        return node(false, false);
      }
    }
    state_ = State::flow_sequence_pair_end;
    return empty_scalar();
  case State::flow_sequence_pair_end:
    state_ = State::flow_sequence_entry;
    offset_ = front().offset;
    return YamlEvent::map_end;
  case State::flow_mapping_first:
    return flow_mapping(true);
  case State::flow_mapping_key:
    return flow_mapping(false);
  case State::flow_mapping_value:
    if (check(Kind::value)) {
      take();
      if (!check_any(Kind::flow_entry, Kind::flow_mapping_end)) {
        states_.push_back(State::flow_mapping_key);
        return node(false, false);
      }
    }
    state_ = State::flow_mapping_key;
    return empty_scalar();
  case State::flow_mapping_empty_value:
    state_ = State::flow_mapping_key;
    return empty_scalar();
  case State::finished:
    break;
  }
  return failed();
}

} // namespace hubgate::config
