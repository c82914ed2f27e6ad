-- Prompts of `checked_result` whose result is not what its status says.
select key from checked_result where out_of_range or unwarranted order by key;
