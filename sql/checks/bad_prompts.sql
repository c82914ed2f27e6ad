-- Prompts of `checked_result` that have several results, or one that is not what its status says.
select key from checked_result where copies > 1 or out_of_range or unwarranted order by key;
