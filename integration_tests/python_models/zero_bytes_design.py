def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "zero_bytes",
        dbt.config.meta_get("study"),
        units=dbt.ref("zero_bytes_units"),
        session=session,
        scores=dbt.ref("zero_bytes_scores"),
    )
