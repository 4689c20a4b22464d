def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "missing_column",
        dbt.config.meta_get("study"),
        units=dbt.ref("missing_column_units"),
        session=session,
        scores=dbt.ref("missing_column_scores"),
    )
