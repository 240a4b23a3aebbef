-- An operator wants nothing done about a dead letter: it is listed no more. Its event stays refused.
-- An event that drops its own letter is a retry of that letter, as any other.
-- FIELDS: letter:entry reason?:text
if letter ~= e.retry_of then
  handle_letter(letter, 'dropped', id)
end
