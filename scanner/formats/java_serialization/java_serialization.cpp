// Java's object serialization (Java Object Serialization Specification, chapter 6): class names in
// a stream that the reader instantiates. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string>

namespace hubgate {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t k_step = std::size_t{1} << 20;
constexpr std::size_t k_behind = 600; ///< a class description that a window's end may cut
constexpr std::size_t k_max_name = 512;
constexpr std::size_t k_max_classes = 4096;
constexpr std::string_view k_atlas = "AML.T0011.000";

constexpr std::array<Rule, 2> k_rules{{
    {"java-gadget", "dangerous-import", Severity::malicious, Reach::load, "CWE-502", k_atlas,
     "RTF-011 RTF-017", "a class that attacks on Java's deserialization are built from"},
    {"java-serialized", "unknown-class", Severity::suspicious, Reach::load, "CWE-502", k_atlas,
     "RTF-011 RTF-017", "serialized Java objects: reading them runs code of their classes"},
}};
const Rule& k_gadget = k_rules[0];
const Rule& k_serialized = k_rules[1];

// Beginnings of the names that chains are made of (ysoserial, marshalsec).
constexpr std::array<std::string_view, 44> k_gadgets{
    "bsh.",
    "clojure.",
    "com.caucho.naming.",
    "com.mchange.v2.c3p0.",
    "com.sun.jndi.",
    "com.sun.org.apache.bcel.",
    "com.sun.org.apache.xalan.internal.xsltc.trax.",
    "com.sun.org.apache.xpath.internal.objects.XString",
    "com.sun.rowset.JdbcRowSetImpl",
    "com.sun.syndication.feed.impl.",
    "com.vaadin.data.util.",
    "com.zaxxer.hikari.",
    "groovy.util.Expando",
    "java.lang.ProcessBuilder",
    "java.lang.Runtime",
    "java.lang.invoke.SerializedLambda",
    "java.net.URLClassLoader",
    "java.rmi.",
    "javax.imageio.spi.",
    "javax.management.BadAttributeValueExpException",
    "javax.media.jai.",
    "javax.naming.",
    "javax.script.",
    "javassist.",
    "net.sf.json.",
    "org.apache.batik.",
    "org.apache.bcel.",
    "org.apache.click.",
    "org.apache.commons.beanutils.",
    "org.apache.commons.collections.functors.",
    "org.apache.commons.collections.keyvalue.",
    "org.apache.commons.collections.map.LazyMap",
    "org.apache.commons.collections4.functors.",
    "org.apache.commons.fileupload.",
    "org.apache.myfaces.",
    "org.apache.wicket.",
    "org.apache.xalan.xsltc.trax.",
    "org.codehaus.groovy.runtime.",
    "org.hibernate.",
    "org.jboss.interceptor.",
    "org.mozilla.javascript.",
    "org.python.core.",
    "org.springframework.",
    "sun.reflect.annotation.AnnotationInvocationHandler",
};

bool is_gadget(std::string_view name) {
  while (name.starts_with('['))
    name.remove_prefix(1);
  if (name.starts_with('L')) {
    // [Lsome.Class;
    if (name.ends_with(';')) name = name.substr(1, name.size() - 2);
  }
  return std::any_of(k_gadgets.begin(), k_gadgets.end(),
                     [&](std::string_view gadget) { return name.starts_with(gadget); });
}

bool is_class_name(std::string_view name) {
  return name.size() >= 2 && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  "._$[;-"sv.find(c) != std::string_view::npos;
         });
}

// TC_CLASSDESC 'r', u16 length, the name, u64 serial version, flags; TC_PROXYCLASSDESC '}', u32
// count, names. They may stand behind any value, so every place is tried.
Reading scan(Source& source, Session& session) {
  std::set<std::string, std::less<>> classes;
  for (std::uint64_t at = 0;;) {
    const Bytes piece = source.view(at, k_step);
    for (std::size_t i = 0; i + 5 <= piece.size(); ++i) {
      const bool proxy = piece[i] == 0x7d && piece[i + 1] == 0 && piece[i + 2] == 0;
      if (piece[i] != 0x72 && !proxy) continue;
      const std::size_t where = proxy ? i + 5 : i + 1;
      if (where + 2 > piece.size()) continue;
      const std::size_t length = static_cast<std::size_t>(piece[where] << 8 | piece[where + 1]);
      if (length < 2 || length > k_max_name || where + 2 + length > piece.size()) continue;
      const std::string_view name = as_text(piece.subspan(where + 2, length));
      if (!is_class_name(name) || classes.size() >= k_max_classes || !classes.emplace(name).second)
        continue;
      if (is_gadget(name)) session.find(k_gadget, at + i, length, name);
    }
    if (piece.size() < k_step) break;
    at += piece.size() - k_behind;
    if (!session.budget().time_left()) {
      session.gap(Reason::budget, Reach::load, at, "out of time");
      return Reading::broken;
    }
  }
  std::string listed;
  for (const auto& name: classes)
    if (listed.size() < 300) listed += (listed.empty() ? "" : ", ") + name;
  session.find(k_serialized, 0, 0, listed.empty() ? "no class is named" : listed);
  return Reading::valid;
}

// STREAM_MAGIC, STREAM_VERSION 5, and a type code.
Claim probe(const Probe& probe) {
  return starts_with(probe.head, "\xac\xed\x00\x05"sv) && probe.head.size() > 4 &&
                 probe.head[4] >= 0x70 && probe.head[4] <= 0x7e
             ? Claim::yes
             : Claim::no;
}

} // namespace

extern const Format format_java_serialization;
const Format format_java_serialization{
    "java_serialization", "java_serialization", probe, scan, k_rules, "1"};

} // namespace hubgate
