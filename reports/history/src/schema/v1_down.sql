DROP TABLE measure;
DROP TABLE attempt;
DROP TABLE run;
DROP TABLE image;
DROP TABLE metric;
DROP TABLE kase;
DROP TABLE slot;
DROP TABLE board;
